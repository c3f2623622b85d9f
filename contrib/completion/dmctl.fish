# Completes dmctl in fish. Verbs, options, signals and one's own confs come from `dmctl help .verbs` and the like, daemons from `dmctl list`.
# Runs as whoever types.

function __dmctl_ids
    set -l me (id -un)
    set -l ids (dmctl list 2>/dev/null </dev/null)
    # And the confs of those that are several.
    set -a ids (string match -r '^.*(?=:)' -- $ids | sort -u)
    echo all
    for id in $ids
        string match -q -- "$me/*" $id; and string replace -- "$me/" '' $id
        echo $id
    end
end

# Those that are several of one conf, by the conf.
function __dmctl_families
    set -l me (id -un)
    for id in (string match -r '^.*(?=:)' -- (dmctl list 2>/dev/null </dev/null) | sort -u)
        string match -q -- "$me/*" $id; and string replace -- "$me/" '' $id
        echo $id
    end
end

function __dmctl_verbs
    dmctl help .verbs 2>/dev/null | while read -l -d \t name takes summary
        printf '%s\t%s\n' $name $summary
    end
end

function __dmctl_takes -a verb
    dmctl help .verbs 2>/dev/null | while read -l -d \t name takes summary
        test "$name" = "$verb"; and echo $takes
    end
end

function __dmctl_complete
    set -l plain
    set -l last ''
    set -l takes ''
    set -l verb
    set -l behind 0
    for word in (commandline -opc)[2..-1]
        if not string match -qr -- '^(-[suno]|--(signal|user|lines|since|until|grep|dir|start|listen|output|color|sort|interval|form))$' $last; and not string match -q -- '-*' $word
            set -a plain $word
            # The verb is the first word, or the one behind an id.
            if test -n "$takes"
                set behind (math $behind + 1)
            else if test (count $plain) -le 2
                set takes (__dmctl_takes $word)
                test -n "$takes"; and set verb $word
            end
        end
        set last $word
    end
    switch "$last"
        case -s --signal
            dmctl help .signals
            return
        case -u --user
            __fish_complete_users
            return
        case --dir
            __fish_complete_directories (commandline -ct)
            return
        case --output
            printf '%s\n' log syslog discard file:/
            return
        case --color
            printf '%s\n' auto always never
            return
        case --sort
            printf '%s\n' name state cpu memory uptime respawns
            return
        case -o --form
            echo raw
            return
        case -n --lines --since --until --grep --start --listen --interval
            return
    end
    if string match -q -- '-*' (commandline -ct)
        dmctl help .options $verb 2>/dev/null </dev/null
        return
    end
    switch "$takes"
        case ''
            test (count $plain) -lt 2; and __dmctl_verbs
            test (count $plain) -eq 0; and __dmctl_ids
        case ids
            __dmctl_ids
        case families
            __dmctl_families
        case kill
            test $behind -eq 0; and dmctl help .signals
            __dmctl_ids
        case explain
            switch $behind
                case 0
                    __fish_complete_users
                case 1
                    __dmctl_verbs
                case '*'
                    __dmctl_ids
            end
        case confs
            dmctl help .confs
        case verbs
            __dmctl_verbs
        case files
            dmctl help .confs
            __fish_complete_path (commandline -ct)
    end
end

complete -c dmctl -f -a '(__dmctl_complete)'
