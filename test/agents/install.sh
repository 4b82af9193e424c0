#!/bin/sh
# install.sh FOLDER: installs the clients of coding agents that the tests of this folder start, in exactly the
# versions whose contracts are recorded in internal/hook/testdata, below FOLDER. SALLYPORT_AGENTS names it to the tests.
#
# It runs vendors' install scripts (two of them put their program in place with one), so it belongs where nothing is
# to be had: a CI job's runner or a container. Nothing of the product needs it.
set -eu
dir=${1:?usage: install.sh FOLDER}
mkdir -p "$dir"
want='@anthropic-ai/claude-code@2.1.197 @openai/codex@0.169.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33 @github/copilot@1.0.102'
if [ -f "$dir/installed" ] && [ "$(cat "$dir/installed")" = "$want" ]; then
	exit 0
fi
rm -f "$dir/installed"
# shellcheck disable=SC2086 # a list of words
npm install --prefix "$dir" --no-save --no-audit --no-fund --save-exact $want
for name in claude codex gemini opencode copilot; do
	if [ ! -x "$dir/node_modules/.bin/$name" ]; then
		echo "install.sh: $name is not there after its installation" >&2
		exit 1
	fi
done
printf '%s' "$want" >"$dir/installed"
