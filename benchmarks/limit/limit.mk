# The programs that mark the limit: make -f benchmarks/limit/limit.mk
LIMIT_SOURCES := benchmarks/limit
LIMIT_OUT := build/limit
LIMIT_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror

.PHONY: limit
limit: $(LIMIT_OUT)/receive $(LIMIT_OUT)/files

$(LIMIT_OUT)/%: $(LIMIT_SOURCES)/%.c $(addprefix $(LIMIT_SOURCES)/,http.c http.h)
	@mkdir -p $(@D)
	$(CC) $(LIMIT_CFLAGS) -o $@ $(filter %.c,$^) -lcrypto -lpthread
