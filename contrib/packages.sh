# Sourced by tests/run and contrib/try, as root: Debian packages, and a build that is given back to whom the checkout belongs.

build_packages='g++ meson ninja-build pkg-config libseccomp-dev libcap-ng-dev libfmt-dev doctest-dev nlohmann-json3-dev zlib1g-dev python3'
test_packages='mandoc nginx-light php-cgi deluged libcatalyst-perl libcatalyst-devel-perl libcatalyst-plugin-static-simple-perl
               libcatalyst-action-renderview-perl
               libcatalyst-plugin-configloader-perl libconfig-general-perl libfcgi-perl
               libfcgi-procmanager-perl libfcgi-bin wrk gunicorn redis-server strace valgrind tzdata clang libclang-rt-14-dev zsh fish less tmux python3-jsonschema'

# Installs those of the packages that are missing, with apt-get. No service is started by that: a policy-rc.d forbids it for
# as long as it takes, where the machine has none of its own.
install_packages() {
  missing=
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || {
    echo "these packages are missing, and there is no apt-get to install them:$missing" >&2
    return 1
  }
  echo "== packages:$missing"
  made_policy=
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    made_policy=1
  fi
  result=0
  {
    apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 \
      -o DPkg::Lock::Timeout=300 $missing
  } > /tmp/daemon-manager-packages.$$ 2>&1 < /dev/null || result=1
  [ -z "$made_policy" ] || rm -f /usr/sbin/policy-rc.d
  [ "$result" = 0 ] || { tail -n 30 /tmp/daemon-manager-packages.$$ >&2; echo "cannot install$missing" >&2; }
  rm -f /tmp/daemon-manager-packages.$$
  return "$result"
}

# make_build FOLDER MESON-OPTION…: sets the folder up, or brings it up to date, and compiles.
make_build() {
  folder=$1
  shift
  if [ -e "$folder/build.ninja" ]; then
    meson configure "$folder" "$@" > /dev/null
  else
    mkdir -p "$folder"
    meson setup "$folder" "$@" > "$folder/setup.log" 2>&1 || { cat "$folder/setup.log" >&2; return 1; }
  fi
  # It takes minutes: who looks on sees how far it is.
  if [ -t 1 ]; then ninja -C "$folder"; else ninja -C "$folder" --quiet; fi
}

# Root built in a user's checkout: gives him what was made.
own_build() {
  owner=$(stat -c %u:%g .)
  [ "$owner" = 0:0 ] || [ ! -d build ] || chown -R "$owner" build
}
