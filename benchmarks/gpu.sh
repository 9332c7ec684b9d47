#!/usr/bin/env bash
# All rows of BENCHMARKS.md that a GPU machine should have: bash benchmarks/gpu.sh [FOLDER]
#
# Writes one JSON file per row to FOLDER (gpu_results), and failed commands with the end of their output to
# FOLDER/failed.txt. A row that does not fit into memory ends that series of batches, not the script. Calling it again
# makes only the missing rows. Bounds are those of an H100; for another device set, e.g. for an A100's bfloat16,
# PEAKS="--peak_tflops=312 --peak_gbs=2039" and DTYPES=bfloat16. A small version, to try the script on any machine:
#   SIZES=32 BASES=8 BATCHES=1 DTYPES=float32 RENDER_BATCHES=2 RAYCAST=0 SCALING=0 REPEATS=1 bash benchmarks/gpu.sh /tmp/x
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
out=${1:-gpu_results}
python=${PYTHON:-python}
repeats=${REPEATS:-20}
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
: >"$out/failed.txt"

# row NAME MODULE ARGUMENTS...: one row into NAME.json, unless it is there.
row() {
  local name=$1 log
  shift
  [[ -s "$out/$name.json" ]] && return 0
  echo "$name: python -m $*" >&2
  log=$(mktemp)
  if "$python" -m "$@" --json="$out/$name.json.new" >"$log" 2>&1; then
    mv "$out/$name.json.new" "$out/$name.json"
    rm -f "$log"
    return 0
  fi
  {
    echo "== $name: python -m $*"
    tail -n 5 "$log"
  } >>"$out/failed.txt"
  echo "$name failed: see $out/failed.txt" >&2
  rm -f "$log" "$out/$name.json.new"
  return 1
}

# series NAME ARGUMENTS...: a train step at growing batches, until one does not fit.
series() {
  local name=$1 batch
  shift
  for batch in ${BATCHES:-1 2 4 8 16 32 64}; do
    row "$name-batch$batch" benchmarks.train_step --batch="$batch" --repeats="$repeats" "$@" || break
  done
}

for size in ${SIZES:-512}; do
  for base in ${BASES:-32 64}; do
    for dtype in ${DTYPES:-bfloat16 float32}; do
      for remat in "" --remat; do
        # shellcheck disable=SC2086  # an empty $remat must vanish, and $PEAKS holds several arguments
        series "step-$size-base$base-$dtype${remat#-}" \
          --size="$size" --base="$base" --dtype="$dtype" $remat ${PEAKS:-}
      done
    done
  done
done

if [[ ${RAYCAST:-1} == 1 ]]; then
  for batch in ${RENDER_BATCHES:-9 64 256}; do
    row "raycast-batch$batch" benchmarks.render --backend=device --batch="$batch" --repeats="$repeats"
  done
  for block in ${SAMPLE_BLOCKS:-16 64 256}; do
    row "samples-block$block" benchmarks.render --backend=device --samples="$block" --repeats="$repeats"
  done
fi

# Collectives on simulated devices, then on the machine's own, with the step's time on 1, 2, 4, ... of them: once with
# the same batch in all, which shows the speed-up, and with the smoke config, which shows what a step costs at least.
if [[ ${SCALING:-1} == 1 ]]; then
  row scaling-simulated benchmarks.scaling
  row scaling-native-smoke benchmarks.scaling --native --repeats="$repeats"
  row scaling-native-a100 benchmarks.scaling --native --config=a100 --batch=16 --repeats="$repeats"
fi

ls "$out"
[[ ! -s "$out/failed.txt" ]]
