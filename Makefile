# Two commands: `make demo` and `make test`. The rest is for those who stay.
all: build
.PHONY: all
