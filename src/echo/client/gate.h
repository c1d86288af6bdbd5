/* Where the tasks of a worker, threads or processes, wait for orders. It lies in shared memory. A
 * task that waits costs no processor and no descriptor. */
#ifndef ECHO_GATE_H
#define ECHO_GATE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

enum stage {
	STAGE_CONNECT, /* `count` connections */
	STAGE_VERIFY,  /* one message on `count` of them */
	STAGE_RUN,     /* messages of size number `count` between the two instants */
	STAGE_END,
};

struct order {
	enum stage stage;
	uint32_t count;
};

struct gate {
	_Atomic uint32_t number;  /* of the order; 0: none so far */
	_Atomic uint64_t order;	  /* both of its fields, for it may be replaced at any time */
	_Atomic uint32_t through; /* tasks that have carried it out */
	sem_t turns;		  /* how many may do it at the same time, where that is limited */
};

/* In zeroed shared memory. 0 or a negative errno. */
int gate_init(struct gate *g);
/* For all that wait, and those that come later. */
void gate_open(struct gate *g, struct order order);
/* Waits until there is another order than number `seen`; returns its number. */
uint32_t gate_wait(struct gate *g, uint32_t seen, struct order *ret);
/* One task is through; returns how many are. */
uint32_t gate_leave(struct gate *g);

/* Waits for one's turn, and gives it to the next one. */
void gate_take_turn(struct gate *g);
void gate_give_turn(struct gate *g);

#endif
