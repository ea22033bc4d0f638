#!/usr/bin/env bash
# What only a GPU can show, in one go: tests/gpu/prove.sh DIR [PART ...]; DIR receives logs and reports.
# Parts: info report check tests memory aa cost agreement (the last four: tests/bench/timing_*.py). Each has a time limit, and a part that fails stops no other.
set -u
out=${1:?usage: tests/gpu/prove.sh DIR [PART ...]}; shift
mkdir -p "$out"
part() { # name, limit in seconds, command: one log per part, and its last lines here
  local name=$1 limit=$2; shift 2
  local start=$SECONDS code=0
  timeout --kill-after=5 "$limit" "$@" >"$out/$name.txt" 2>"$out/$name.err" || code=$?
  echo "== $name: exit $code after $((SECONDS - start)) s"
  tail -n 3 "$out/$name.err"
  grep -E '^(PASS|FAIL)' "$out/$name.txt"
}
[ $# -gt 0 ] || set -- info report check tests memory aa cost agreement
for name in "$@"; do
  case $name in
    info) part info 100 python3 -m attnprobe info --json "$out/info.json" ;;
    report) part report 200 python3 -m attnprobe report -o "$out/report" ;;
    check) part check 200 python3 -m attnprobe check --session "$out/check.jsonl" ;;
    tests) part tests 400 python3 -m pytest -q -m gpu tests ;;
    memory) part memory 60 python3 tests/bench/timing_memory.py ;;
    aa) part aa 180 python3 tests/bench/timing_aa.py --save "$out/aa.json" ;;
    cost) part cost 240 python3 tests/bench/timing_cost.py ;;
    agreement) part agreement 180 python3 tests/bench/timing_agreement.py ;;
    *) echo "unknown part: $name" >&2 ;;
  esac
done
