/* The supervisor's orders to a worker, and where a worker's tasks, threads or processes, wait for
 * them. That lies in shared memory. A task that waits costs no processor and no descriptor. */
#ifndef ECHO_ORDERS_H
#define ECHO_ORDERS_H

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

struct orders {
	_Atomic uint32_t number;  /* of the last one; 0: none so far */
	_Atomic uint64_t last;	  /* both of its fields, for it may be replaced at any time */
	_Atomic uint32_t through; /* tasks that have carried it out */
	sem_t turns;		  /* how many may do it at the same time, where that is limited */
};

/* In zeroed shared memory. 0 or a negative errno. */
int orders_init(struct orders *o);
/* To all that wait, and those that come later. */
void orders_give(struct orders *o, struct order order);
/* Waits until there is another order than number `seen`; returns its number. */
uint32_t orders_wait(struct orders *o, uint32_t seen, struct order *ret);
/* One task has carried it out; returns how many have. */
uint32_t orders_carried_out(struct orders *o);

/* Waits for one's turn, and gives it to the next one. */
void orders_take_turn(struct orders *o);
void orders_give_turn(struct orders *o);

#endif
