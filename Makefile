# Everything here needs Go and make alone; what else a target wants, it says.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The race detector needs cgo, and cgo a C compiler.
RACE := $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

.PHONY: all build run test race lint generate bench bench-throttle fuzz clean help

all: build

build: ## build bin/nines
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/nines ./cmd/nines

run: build ## start the whole system on this machine: PORT=8080 make run
	@bin/nines demo $(if $(PORT),--port $(PORT))

test: ## run every test, with the race detector where there is a C compiler
	$(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) ./...

lint: ## formatting, vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  test -z "$$unformatted" || { echo "not gofmt'd: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## write again what is made from the code: references, schema, goldens of docs
	$(GO) generate ./...

bench: ## run the benchmarks; see docs/design.md for the budgets
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-throttle: ## as root: print asked against achieved against the kernel's shaper (3 min)
	cd checks/throttle && NINES_THROTTLE_TABLE=1 $(GO) test -count 1 -run '^TestTable$$' -timeout 15m

fuzz: ## fuzz every target for FUZZTIME each (default 20s)
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-20s} -fuzzminimizetime 2s $$pkg || exit 1; \
	  done; \
	done

clean: ## remove what build made
	rm -rf bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
