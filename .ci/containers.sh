# Sourced by run. What the container tests need: Docker, the one of Debian where none is reachable, and two images.

dockerd_pid='' dockerd_log=''

# Installs and starts Docker where none is reachable. Needs root, and a system with apt.
container_runtime() {
  docker info && return
  if ! command -v dockerd; then
    debian_packages docker.io iptables || return
  fi
  # A package of its own from Debian 13 on.
  command -v docker || debian_packages docker-cli || return
  dockerd_log=$(mktemp)
  dockerd >"$dockerd_log" 2>&1 &
  dockerd_pid=$!
  for _ in {1..60}; do
    docker info && return
    kill -0 "$dockerd_pid" || break
    sleep 0.5
  done
  cat "$dockerd_log"
  return 1
}

# What no registry gives here is built.
container_images() {
  command -v busybox || debian_packages busybox-static || return
  .ci/images
}

# Only the one that was started here: another may have containers of somebody else.
stop_container_runtime() {
  [ -n "$dockerd_pid" ] || return 0
  kill "$dockerd_pid" && wait "$dockerd_pid"
  rm -f "$dockerd_log"
  dockerd_pid=''
}

# debian_packages NAME... : without a question, with fresh lists where the first try finds nothing.
debian_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y --no-install-recommends "$@" && return
  apt-get update && apt-get install -y --no-install-recommends "$@"
}
