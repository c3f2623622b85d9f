# Completes dmctl in bash. Verbs, options, signals and one's own confs come from `dmctl help .verbs` and the like, daemons from `dmctl list`.
# Runs as whoever types; no word of theirs is ever expanded by the shell.

# Offers those lines of standard input that begin with $1.
_dmctl_offer() {
  local line
  while IFS= read -r line; do
    [[ $line == "$1"* ]] && COMPREPLY+=("$line")
  done
}

# Daemons, one's own without the owner too; before the first of several of one conf the conf.
_dmctl_ids() {
  local id conf= me
  me=$(id -un)
  echo all
  while IFS= read -r id; do
    if [[ $id == *:* && ${id%:*} != "$conf" ]]; then
      conf=${id%:*}
      [[ $conf == "$me"/* ]] && echo "${conf#"$me"/}"
      echo "$conf"
    fi
    [[ $id == "$me"/* ]] && echo "${id#"$me"/}"
    echo "$id"
  done < <(dmctl list 2>/dev/null </dev/null)
}

# Those that are several of one conf, by the conf.
_dmctl_families() {
  local id me
  me=$(id -un)
  while IFS= read -r id; do
    [[ $id == "$me"/* ]] && echo "${id#"$me"/}"
    echo "$id"
  done < <(dmctl list 2>/dev/null </dev/null | sed -n 's/:[^:]*$//p' | sort -u)
}

# What the verb $1 takes; fails where it is none.
_dmctl_takes() {
  local name takes rest
  while IFS=$'\t' read -r name takes rest; do
    [[ $name == "$1" ]] && { echo "$takes"; return; }
  done < <(dmctl help .verbs 2>/dev/null </dev/null)
  return 1
}

_dmctl() {
  local line=${COMP_LINE:0:COMP_POINT}
  local cur=${line##*[[:blank:]]} takes= verb= plain=() behind=0 last= word words
  read -ra words <<< "${line%"$cur"}"
  COMPREPLY=()
  for word in "${words[@]:1}"; do
    if [[ $last != -?(-)@(s|u|n|o|signal|user|lines|since|until|grep|dir|start|listen|output|color|sort|interval|form) && $word != -* ]]; then
      plain+=("$word")
      # The verb is the first word, or the one behind an id.
      if [[ -n $takes ]]; then ((++behind))
      elif ((${#plain[@]} <= 2)); then takes=$(_dmctl_takes "$word") && verb=$word; fi
    fi
    last=$word
  done
  case $last in
    -s | --signal) _dmctl_offer "$cur" < <(dmctl help .signals) ;;
    -u | --user) _dmctl_offer "$cur" < <(compgen -u) ;;
    --dir) compopt -o filenames 2>/dev/null; _dmctl_offer "$cur" < <(compgen -d -- "$cur") ;;
    --output)
      _dmctl_offer "$cur" < <(printf '%s\n' log syslog discard file:/)
      [[ ${COMPREPLY[*]} == file:/ ]] && compopt -o nospace 2>/dev/null ;;
    --color) _dmctl_offer "$cur" < <(printf '%s\n' auto always never) ;;
    --sort) _dmctl_offer "$cur" < <(printf '%s\n' name state cpu memory uptime respawns) ;;
    -o | --form) _dmctl_offer "$cur" < <(echo raw) ;;
    -n | --lines | --since | --until | --grep | --start | --listen | --interval) ;;
    *)
      if [[ $cur == -* ]]; then _dmctl_offer "$cur" < <(dmctl help .options $verb 2>/dev/null </dev/null | cut -f1)
      else
        case $takes in
          '') if ((${#plain[@]} < 2)); then _dmctl_offer "$cur" < <(dmctl help .verbs 2>/dev/null | cut -f1; ((${#plain[@]})) || _dmctl_ids); fi ;;
          ids) _dmctl_offer "$cur" < <(_dmctl_ids) ;;
          families) _dmctl_offer "$cur" < <(_dmctl_families) ;;
          kill) _dmctl_offer "$cur" < <(((behind)) || dmctl help .signals; _dmctl_ids) ;;
          explain)
            case $behind in
              0) _dmctl_offer "$cur" < <(compgen -u) ;;
              1) _dmctl_offer "$cur" < <(dmctl help .verbs | cut -f1) ;;
              *) _dmctl_offer "$cur" < <(_dmctl_ids) ;;
            esac ;;
          confs) _dmctl_offer "$cur" < <(dmctl help .confs) ;;
          verbs) _dmctl_offer "$cur" < <(dmctl help .verbs | cut -f1) ;;
          files) compopt -o filenames 2>/dev/null; _dmctl_offer "$cur" < <(dmctl help .confs; compgen -f -- "$cur") ;;
        esac
      fi ;;
  esac
  # To bash a colon ends a word: what is before the last one is there already.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=${cur%"${cur##*:}"} i
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$before"}; done
  fi
}

complete -F _dmctl dmctl
