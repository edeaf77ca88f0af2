# The two commands of the README: `make demo` and `make test`. Each does its own set-up.
SHELL := bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
export NODE_NO_WARNINGS := 1
# Every test file is a process of its own: parsing and stripping types anew would be a fifth of a second of each.
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/compile

.PHONY: setup check fix proto test test-cluster soak bench demo serve demo-stream services clean

setup: node_modules/.ready

# Not `npm ci`: it insists on optional packages of every platform, and not every registry mirror has them.
# npm may block install scripts, and the `node` package needs its own to place its binary.
node_modules/.ready: package-lock.json
	npm install --no-save --loglevel=error
	node_modules/.bin/node -v >/dev/null 2>&1 || npm rebuild node --loglevel=error
	touch $@

check: setup
	biome ci --error-on-warnings .
	tsc -p tsconfig.json
	node --test 'test/tidy/*.test.ts'

fix: setup
	biome check --write .

# After a change of proto/: the code that speaks it. Removes what no .proto file makes any more.
proto: setup
	cd proto && buf lint && buf generate

# Three files at once on two cores: many wait for servers, which else leaves a core without work.
test: check
	node --test --test-concurrency=3 'test/**/*.test.ts'

# What needs servers of its own kind: stores and registries past one machine, and what happens when they fail.
test-cluster: setup
	node --test --test-concurrency=2 'test/**/*.cluster.ts'

# 1,000,000 random histories (some hours), then ten times as many cases of every other property.
soak: setup
	SAMEWISE_SOAK=100 node --test --test-concurrency=2 'test/timeline/agreement*.test.ts'
	SAMEWISE_SOAK=10 node --test --test-concurrency=2 'test/**/*.test.ts'

bench: setup
	node bench/main.ts

demo: setup
	node examples/flights/demo.ts

# A server over the demo's data that stays until Ctrl-C. FLAGS='--workers 2', or whatever else `samewise serve` takes.
serve: setup
	test -e demo-out/training.parquet.manifest.json -a -e examples/flights/.samewise/registry.db || $(MAKE) demo
	node bin/samewise.js --project examples/flights serve $(FLAGS)

# FLAGS=--kafka plays the same through Kafka.
demo-stream: setup
	node examples/flights-live/demo.ts $(FLAGS)

# Real servers, to stay: tests then use them if SAMEWISE_SERVICES_DIR names the same folder.
services:
	for service in debezium schema-registry kinesis; do scripts/services/$$service up || exit; done

clean:
	rm -rf node_modules dist .samewise examples/*/.samewise demo-out bench-out
