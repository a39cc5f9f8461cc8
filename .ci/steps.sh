# Sourced by check and run. A step is a named command with its time, the output of which is shown when it fails.

# step NAME COMMAND... : runs it quietly and prints one line. Returns what the command returned.
step() {
  local name=$1 started=$EPOCHREALTIME status=0 log
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -eq 0 ]; then
    printf '  ok      %-44s %s\n' "$name" "$(elapsed "$started")"
  else
    printf '  FAILED  %-44s %s\n\n' "$name" "$(elapsed "$started")"
    cat "$log"
  fi
  rm -f "$log"
  return "$status"
}

# elapsed SINCE : seconds since then, with one decimal.
elapsed() {
  local tenths=$(((${EPOCHREALTIME//[.,]/} - ${1//[.,]/}) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}
