# What the services beside this file share: where things lie, installing, starting, waiting, stopping. For Linux.
#
# A service sets PORT_VARIABLE and defines `install` (fetch what is missing), `run` (begin in the background), `probe` (is it
# ready?) and `address` (what a client is given), then ends with `main "$@"`:
#   up      installs, starts and waits; prints the address. Nothing happens where it is up already.
#   down    stops it and deletes its data
#   crash   kills it and leaves its data: `up` starts it again at the same address
#   status  prints the address, or fails
#   fetch   installs only
#
# SAMEWISE_SERVICES_DIR     state and data (default: a folder of this user's under the temporary directory); another folder is another server
# SAMEWISE_SERVICES_CACHE   what was downloaded
# SAMEWISE_SERVICES_OWNER   a process: when it ends, so does the service
set -euo pipefail
umask 022

NAME=$(basename "$0")
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
STATE=${SAMEWISE_SERVICES_DIR:-${TMPDIR:-/tmp}/samewise-services-$(id -u)}
CACHE=${SAMEWISE_SERVICES_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/samewise-services}
DIR=$STATE/$NAME
LOG=$DIR/log
KAFKA_VERSION=4.3.1 # shared by the broker and Connect

say() { echo "$NAME: $*" >&2; }
fail() { say "$*"; exit 1; }
# What is needed is not on this machine and cannot be fetched: 69, which is EX_UNAVAILABLE of sysexits.h.
missing() { say "$*"; exit 69; }

# exclusively FILE COMMAND...: one process at a time. What the command leaves running must not hold the lock (see `begin`).
exclusively() {
  local file=$1; shift
  mkdir -p "$(dirname "$file")"
  { flock 9; "$@"; } 9>"$file"
}

# need COMMAND PACKAGE: installs a Debian package for a command that is missing.
need() { command -v "$1" >/dev/null || package "$2"; }
# package NAME: installs it without starting the daemons that it brings.
package() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || missing "$1 is missing: install it (on Debian, as root: apt-get install $1)"
  say "installing $1 with apt"
  exclusively "$CACHE/apt.lock" apt_install "$1" || missing "apt-get could not install $1"
}
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=no result=0
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=yes; fi
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$1"; } >&2 || result=$?
  [ $made = no ] || rm -f $policy
  return $result
}

# once FOLDER COMMAND...: runs the command, which fills the new folder $CACHE/FOLDER, unless that was done before.
once() { exclusively "$CACHE/$1.lock" once_alone "$@"; }
once_alone() {
  local folder=$CACHE/$1; shift
  [ ! -e "$folder" ] || return 0
  rm -rf "$folder.part"; mkdir -p "$folder.part"
  "$@" "$folder.part"
  mv "$folder.part" "$folder"
}

# maven FOLDER ARGUMENTS...: Maven, which has ways of its own to find its repository.
maven() {
  local log=$1/maven.log; shift
  say "fetching with Maven"
  mvn -B -q "$@" >"$log" 2>&1 || missing "Maven could not fetch it: $(grep -m1 ERROR "$log" || tail -n 1 "$log")"
}
need_java() {
  need java default-jre-headless
  local version; version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 17 ] || missing "Java 17 or newer is needed, this is ${version:-unknown}"
}
# jars FOLDER group:artifact:version...: these and what they need to run, as $CACHE/FOLDER/*.jar.
jars() {
  local folder=$1; shift
  need_java; need mvn maven
  once "$folder" copy_jars "$@"
}
copy_jars() {
  local folder=${*: -1} group artifact version
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>samewise</groupId><artifactId>services</artifactId>'
    echo '<version>1</version><packaging>pom</packaging><dependencies>'
    while IFS=: read -r group artifact version; do
      echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done < <(printf '%s\n' "${@:1:$#-1}")
    echo '</dependencies></project>'
  } >"$folder/pom.xml"
  maven "$folder" -f "$folder/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$folder"
}
# python_environment ARGUMENTS... FOLDER: a virtual environment with what pip's arguments name, made by `once`. What is in it is called
# by its module: the folder is moved after the installation, and its scripts name the old one.
python_environment() {
  local folder=${*: -1} what=("${@:1:$#-1}")
  say "installing ${what[*]} with pip"
  python3 -m venv "$folder" 2>/dev/null || { package python3-venv; python3 -m venv --clear "$folder"; }
  "$folder/bin/python" -m pip install -q "${what[@]}" >&2 || missing "pip could not install ${what[*]}"
}

# A small JVM that starts quickly: servers here live for seconds.
JVM=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData)

# A port that stays the same while the service's data live: the one asked for, or a free one.
port() {
  [ -e "$DIR/port" ] || { mkdir -p "$DIR"; echo "${!PORT_VARIABLE:-$(free_port)}" >"$DIR/port"; }
  cat "$DIR/port"
}
# Below the ports that the system gives to outgoing connections.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); taken "$port" || ! mkdir -p "$STATE/ports" || ! mkdir "$STATE/ports/$port" 2>/dev/null; do :; done
  echo "$port"
}
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# begin COMMAND...: in the background, apart from this shell. A process is known by its id and when it began.
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
begin() {
  setsid nohup "$@" </dev/null >>"$LOG" 2>&1 9>&- &
  echo "$! $(began $!)" >"$DIR/process"
}
# The id of the running process, if it runs.
process() {
  local id since
  read -r id since 2>/dev/null <"$DIR/process" && [ -n "$since" ] && [ "$(began "$id")" = "$since" ] && echo "$id"
}
stop() {
  local id; id=$(process) || return 0
  kill "-${STOP_SIGNAL:-TERM}" "$id" 2>/dev/null || true
  for _ in {1..100}; do [ -d "/proc/$id" ] || return 0; sleep 0.1; done
  kill -KILL "$id" 2>/dev/null || true
}

is_up() { [ -e "$DIR/ready" ] && process >/dev/null && probe >/dev/null 2>&1; }
up() {
  is_up && return
  install
  if ! process >/dev/null; then
    rm -f "$DIR/ready"
    ! taken "$(port)" || fail "port $(port) is taken: set $PORT_VARIABLE to another one"
    run
    watch_owner
  fi
  local deadline=$((SECONDS + 90))
  until probe >/dev/null 2>&1; do
    process >/dev/null || { tail -n 20 "$LOG" >&2; fail "it ended while it started"; }
    [ $SECONDS -lt $deadline ] || { tail -n 20 "$LOG" >&2; stop; fail "it was not ready after 90 s"; }
    sleep 0.1
  done
  touch "$DIR/ready"
}
crash() { STOP_SIGNAL=KILL; stop; }
# What is left of a folder when its owner has ended, and with it the last of its services.
sweep() {
  [ -n "${SAMEWISE_SERVICES_OWNER:-}" ] && ! kill -0 "$SAMEWISE_SERVICES_OWNER" 2>/dev/null || return 0
  [ -n "$(find "$STATE" -mindepth 1 -maxdepth 1 -type d ! -name ports)" ] || rm -rf "$STATE"
}
down() { stop; [ ! -e "$DIR/port" ] || rm -rf "$STATE/ports/$(cat "$DIR/port")"; rm -rf "$DIR"; }
watch_owner() {
  [ -n "${SAMEWISE_SERVICES_OWNER:-}" ] && [ ! -e "$DIR/watched" ] || return 0
  touch "$DIR/watched"
  setsid nohup bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; exec "$0" down' \
    "$HERE/$NAME" "$SAMEWISE_SERVICES_OWNER" </dev/null >/dev/null 2>&1 9>&- &
}

main() {
  case ${1:-} in
    up) need flock util-linux; exclusively "$STATE/$NAME.lock" up; address ;;
    down) [ ! -d "$STATE" ] || exclusively "$STATE/$NAME.lock" down; sweep ;;
    crash) exclusively "$STATE/$NAME.lock" crash ;;
    status) if is_up; then address; else say "down"; exit 3; fi ;;
    fetch) install ;;
    *) echo "usage: $0 up|down|crash|status|fetch" >&2; exit 2 ;;
  esac
}
