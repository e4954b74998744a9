# The verbs of this repository. `make help` lists them.

SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 30s

GOFUMPT := $(GO) tool -modfile='$(CURDIR)/tools/gofumpt/go.mod' gofumpt
STATICCHECK := $(GO) tool -modfile='$(CURDIR)/tools/staticcheck/go.mod' staticcheck
CONFIG_PAGE := docs/services/incident/pagerduty/config.md

# The root module first, then the modules nested in it, where they exist.
MODULES := . $(patsubst %/go.mod,%,$(wildcard bench/go.mod shoutrrrd/go.mod browser/go.mod))

.DEFAULT_GOAL := help
.PHONY: help build deps test prove prove-all race fuzz lint fmt fmt-check vet staticcheck walls tidy-check size docs docs-check demo bench

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Inlining outside the runtime and functions aligned to 32 bytes cost 0.9 MB, more
# than a tenth of the command, and win a third of a millisecond of the 9 that one
# event takes (bench/README.md, "usual").
BUILD_FLAGS := -trimpath -gcflags=all=-l -gcflags=runtime= -ldflags='-s -w -funcalign=1'
# Below the 11.5 MB of upstream's shoutrrr; a library that serves is worth its bytes.
LARGEST := 11500000

build: bin/shoutrrr bin/shoutrrrd ## Build command and daemon into bin/, static and stripped

.PHONY: bin/shoutrrr bin/shoutrrrd
bin/shoutrrr:
	CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o bin/shoutrrr ./cmd/shoutrrr

bin/shoutrrrd:
	CGO_ENABLED=0 $(GO) build -C shoutrrrd -trimpath -ldflags='-s -w' -o ../bin/shoutrrrd .

size: bin/shoutrrr ## Check that the command stays below 11.5 MB
	@size=$$(wc -c < bin/shoutrrr) && echo "bin/shoutrrr: $$size bytes of at most $(LARGEST)" && [ "$$size" -le $(LARGEST) ]

deps: ## Install what the tests need beside Go, and only what is missing
	scripts/deps

# docs/development.md says how long it takes.
test: deps ## Test every module, with the race detector where it can be waited for (goal: 8 min on two idle cores)
	scripts/test

prove: ## Run the long tests: kill loops, real clients, a simulated month, power cuts
	scripts/prove share

prove-all: ## Run all of them whole, and FUZZTIME (10m) of each fuzz target; takes hours
	scripts/prove all
	$(MAKE) vet-elsewhere
	FUZZTIME=$(if $(filter command line environment,$(origin FUZZTIME)),$(FUZZTIME),10m) scripts/fuzz

race: ## Hunt for races: every test three times, in random order, on one and on four threads
	@for dir in $(MODULES); do \
		(cd "$$dir" && $(GO) test -race -count=3 -shuffle=on -cpu=1,4 ./...) || exit 1; \
	done

# Git refuses to tell the revision of a tree of another owner, and no check is about it.
lint: export GOFLAGS += -buildvcs=false
# As everything is built but what has the race detector: so it is compiled once.
lint: export CGO_ENABLED := 0
lint: fmt-check vet staticcheck walls tidy-check docs-check size ## Check format, vet, staticcheck, imports, go.mod and generated docs

fmt: ## Format every Go file
	$(GOFUMPT) -w .

# gofumpt -l exits 0 even when it lists files, so the list itself is the verdict.
fmt-check:
	@echo "gofumpt"
	@list="$$($(GOFUMPT) -l .)" && if [ -n "$$list" ]; then \
		echo "not formatted (make fmt does it):"; echo "$$list"; exit 1; fi

# Library, command and daemon are built for these too, and so are their tests: one that
# needs Linux stands in a file of Linux. To vet them for another system would compile all
# that they import, SQLite too: three and a half minutes of CPU time a system where the build
# cache is empty. The check reads the source instead, 90 seconds for all.
ELSEWHERE := windows,darwin,freebsd

vet:
	@for dir in $(MODULES); do echo "go vet in $$dir"; (cd "$$dir" && $(GO) vet ./...) || exit 1; done
	@$(GO) build -C tools/elsewhere -o '$(CURDIR)/bin/elsewhere' . && bin/elsewhere $(ELSEWHERE) . shoutrrrd

.PHONY: vet-elsewhere
vet-elsewhere: ## Run go vet for Windows, macOS and FreeBSD too
	@for dir in . shoutrrrd; do for os in windows darwin freebsd; do echo "go vet in $$dir for $$os"; \
		(cd "$$dir" && CGO_ENABLED=0 GOOS=$$os $(GO) vet ./...) || exit 1; done; done

staticcheck:
	@for dir in $(MODULES); do echo "staticcheck in $$dir"; (cd "$$dir" && $(STATICCHECK) ./...) || exit 1; done

walls: ## Check that imports point down (architecture_test.go)
	$(GO) test -count=1 -run '^TestWalls' .
	$(GO) test -C shoutrrrd -count=1 -run '^TestWalls' ./internal/walls

tidy-check:
	@for dir in $(MODULES); do echo "go mod tidy -diff in $$dir"; (cd "$$dir" && $(GO) mod tidy -diff) || exit 1; done

docs: ## Write the parameter table of the service page from the code
	$(GO) run ./cmd/shoutrrr docs pagerduty -f markdown > $(CONFIG_PAGE).new
	mv $(CONFIG_PAGE).new $(CONFIG_PAGE)

docs-check:
	@echo "$(CONFIG_PAGE)"
	@page="$$(mktemp)" && trap 'rm -f "$$page"' EXIT && \
		$(GO) run ./cmd/shoutrrr docs pagerduty -f markdown > "$$page" && \
		if ! diff -u $(CONFIG_PAGE) "$$page"; then echo "not what the code says (make docs writes it)"; exit 1; fi

demo: ## Show the relay before the built-in emulator: an incident's life, a storm, repeats, a crash
	@CGO_ENABLED=0 $(GO) build -C shoutrrrd -o ../bin/shoutrrrd . && bin/shoutrrrd demo

bench: ## Measure against net/http, curl and plain files, as ratios
	cd bench && $(GO) run .

fuzz: ## Run every fuzz target for FUZZTIME (30s), two at a time
	FUZZTIME=$(FUZZTIME) scripts/fuzz
