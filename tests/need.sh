# need COMMAND PACKAGE…: installs the packages unless the command is there. Sourced by ./dev and the
# scripts of the tests.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    echo "installing $* (for $command)" >&2
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
}
