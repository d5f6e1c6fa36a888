#!/usr/bin/env bash
# Judges a pull request's stack: judge.sh STACK BASE_COMMIT OUT
# Writes OUT/STACK-preview.{md,html,json,sarif,junit.xml} and OUT/exit-code; ends with the report's exit code (docs/report.md).
# Without PULUMI_BACKEND_URL there is no login, and the preview is from committed facts alone: a fork has no secrets.
set -euo pipefail

stack=$1 base=$2 out=$3
top=$(git rev-parse --show-toplevel)
mkdir -p "$out"
out=$(cd "$out" && pwd)
arguments=(--stack "$stack")
# The header says whether files differ from the commit: what this script makes is none of them.
printf '/node_modules\n/%s/\n' "$(realpath --relative-to="$top" "$out")" >>"$(git rev-parse --path-format=absolute --git-path info/exclude)"
[ -n "${PULUMI_BACKEND_URL:-}" ] || arguments+=(--without-state)

# judge FOLDER OUT ARGUMENTS…: the exit code of that checkout's own report.
judge() {
  local folder=$1 to=$2 code=0
  shift 2
  (cd "$folder" && node dist/report/cli.js "${arguments[@]}" --out "$to" "$@" -- preview --non-interactive --color=never) || code=$?
  return "$code"
}

# The base in a checkout of its own. It shares the packages when they are the same; else npm gets them.
worktree=$(mktemp -d)
trap 'git -C "$top" worktree remove --force "$worktree" || true' EXIT
compared=()
if git -C "$top" worktree add --quiet --detach "$worktree" "$base" && (
  cd "$worktree"
  if cmp -s package-lock.json "$top/package-lock.json"; then ln -s "$top/node_modules" node_modules
  else npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; fi
  node node_modules/typescript/bin/tsc -p .
); then
  code=0
  judge "$worktree" "$out/base" || code=$?
  # 0 and 1 are verdicts; anything else is nothing to compare with.
  if [ "$code" -le 1 ] && [ -f "$out/base/$stack-preview.json" ]; then compared=(--base "$out/base/$stack-preview.json"); fi
fi
[ ${#compared[@]} -gt 0 ] || echo "judge: the base $base could not be judged; the report stands alone" >&2

code=0
judge "$top" "$out" "${compared[@]}" || code=$?
echo "$code" >"$out/exit-code"
exit "$code"
