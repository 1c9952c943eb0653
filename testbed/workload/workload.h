// What the files of the workload program know of each other. One file is one subject; main.c has the list of steps.
#ifndef WORKLOAD_H
#define WORKLOAD_H
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Words of one step: the verb at [0], then what belongs to it.
struct words { int count; char **at; };

// line.c: one line is one write, so that lines of threads and children never mix.
void line_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
void line_err(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn)); // wrong usage: exit 2

// quantity.c: what is written as 200ms, 64Mi and key=value.
int64_t milliseconds(const char *text);
int64_t bytes(const char *text);
const char *option(struct words w, const char *key); // value of key=value, NULL if absent
int64_t option_ms(struct words w, const char *key, int64_t absent);
int64_t option_number(struct words w, const char *key, int64_t absent);
const char *plain(struct words w, int index);        // the index-th word that is no key=value, NULL if absent
void pause_ms(int64_t ms);
int64_t now_ms(void);
void in_background(void *(*run)(void *), void *argument);

// life.c: signals, ending, children.
void life_begin(void);
void ignore_signal(struct words w);
void on_term(struct words w);
void kill_self(struct words w) __attribute__((noreturn));
void children_begin(int count, void (*run)(struct words), struct words steps);
void children_wait(void);
int child_code(void); // exit code of the child that ended last, 128+N if signal N ended it

// memory.c, work.c, serve.c, call.c, names.c: the steps.
void take_memory(struct words w);
void fill_file(struct words w);
void burn(struct words w);
void beat(struct words w);
void print_lines(struct words w);
void require(struct words w);
void take_descriptors(struct words w);
void serve(struct words w);
void change_answer(struct words w);
void close_port(struct words w);
void call(struct words w);
void answer_names(struct words w);

extern const char HELP[];
#endif
