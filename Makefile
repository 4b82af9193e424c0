# Thin aliases: each target is one command that may as well be typed. What CI runs is .ci/run.

GO    ?= go
TOOLS := $(GO) tool -modfile=test/tools/go.mod

# How long each fuzz target runs, and which repository benchmarks read.
FUZZTIME   ?= 30s
BENCH_REPO ?=

.PHONY: build helpers helper-sbom test race lint fuzz demo e2e peers bench vuln ci

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/sallyport ./cmd/sallyport

# What lies beside sallyport: for keys in services and in tokens (which loads C libraries), and to look
# into archives and images (a module of its own).
helpers: helper-sbom
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/sallyport-kms ./cmd/sallyport-kms
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/sallyport-quote ./cmd/sallyport-quote
	CGO_ENABLED=1 $(GO) build -trimpath -ldflags='-s -w' -o bin/sallyport-pkcs11 ./cmd/sallyport-pkcs11

# -buildvcs has to be as for sallyport: the two tell each other what they were built from.
helper-sbom:
	cd cmd/sallyport-sbom && CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o ../../bin/sallyport-sbom .

test:
	$(GO) test ./...

race:
	CGO_ENABLED=1 $(GO) test -race ./...

# The first run builds golangci-lint from its pinned sources, which takes minutes.
lint:
	$(TOOLS) golangci-lint run

# Every fuzz target of every package, one after another.
fuzz:
	FUZZTIME=$(FUZZTIME) bash test/fuzz.sh

demo:
	$(GO) run ./cmd/sallyport demo

e2e:
	$(GO) test -tags e2e ./test/...

# What we make against other programs, and theirs against ours: bundles, images and cosign, in the
# CNCF's registry too, and without keys on a Sigstore of this machine; package URLs and Syft; scanners
# run through us; advisories and grype and govulncheck (ADVISORIES=FOLDER: whole databases). The
# programs are built from the versions that test/peers/ pins, which takes minutes the first time.
# PEER_REPOS=a:b names clones to compare package URLs in, beside our own fixtures.
peers:
	$(GO) test -tags peers -timeout 60m ./test/interop ./test/peers/dependencies ./test/peers/advisories ./internal/mask

# The built program beside git, over BENCH_REPO=/path/to/a/clone or a repository that it makes;
# beside gitleaks, syft and opa, built from test/peers; then the benchmarks of single packages.
bench:
	$(GO) run ./test/bench -peers -repo '$(BENCH_REPO)' -pipeline '$(BENCH_PIPELINE)'
	BENCH_REPO='$(BENCH_REPO)' $(GO) test -run '^$$' -bench . -benchmem ./internal/...

# Reads the public vulnerability database, or the copy that GOVULNDB names.
vuln:
	$(TOOLS) govulncheck $(if $(GOVULNDB),-db '$(GOVULNDB)') ./...

ci:
	bash .ci/run
