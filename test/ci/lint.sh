#!/usr/bin/env bash
# Asks actionlint (with shellcheck, if there is one) and GitLab's CI schema about the jobs that
# "sallyport init --ci" writes, and makes sure that both find something in jobs that are wrong.
#
#     bash test/ci/lint.sh SALLYPORT
#
# SALLYPORT is the built binary. The peers are built from test/peers.
set -euo pipefail
sallyport=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly

for tool in actionlint:github.com/rhysd/actionlint/cmd/actionlint jv:github.com/santhosh-tekuri/jsonschema/cmd/jv; do
	(cd "test/peers/${tool%%:*}" && CGO_ENABLED=0 go build -o "$work/${tool%%:*}" "${tool#*:}")
done
if [ "${CI:-}" = true ]; then command -v shellcheck >/dev/null || { echo "shellcheck is missing" >&2; exit 1; }; fi

git init -q -b main "$work/repo"
for url in '' https://releases.example/sallyport_linux_amd64; do
	rm -rf "$work/github" "$work/gitlab" && mkdir "$work/github" "$work/gitlab"
	git init -q "$work/github" # actionlint looks for a project
	more=()
	[ -z "$url" ] || more=(--judge-url "$url")
	for forge in github gitlab; do
		"$sallyport" init -C "$work/repo" --ci "$forge" --into "$work/$forge" --judge-sha256 "$(printf '%064d' 7)" "${more[@]}" >/dev/null
	done
	(cd "$work/github" && "$work/actionlint" .github/workflows/sallyport.yml)
	"$work/jv" test/ci/testdata/gitlab-ci.schema.json "$work/gitlab/sallyport.gitlab-ci.yml"
done

# The same jobs with one mistake each.
sed -i 's/runs-on: ubuntu-24.04/runs-on: ubuntu-24.04\n    permision: {}/' "$work/github/.github/workflows/sallyport.yml"
if (cd "$work/github" && "$work/actionlint" .github/workflows/sallyport.yml >/dev/null); then
	echo "actionlint found nothing in a workflow that is wrong" >&2
	exit 1
fi
sed -i 's/allow_failure: false/allow_failure: perhaps/' "$work/gitlab/sallyport.gitlab-ci.yml"
if "$work/jv" test/ci/testdata/gitlab-ci.schema.json "$work/gitlab/sallyport.gitlab-ci.yml" >/dev/null 2>&1; then
	echo "GitLab's schema found nothing in a job that is wrong" >&2
	exit 1
fi
echo "actionlint and GitLab's schema find nothing in the jobs, and something in wrong ones"
