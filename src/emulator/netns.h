/* Being in a network namespace for a moment: an interface is opened there, and its socket stays
 * there for ever. Of the calling thread only. */
#ifndef EMULATOR_NETNS_H
#define EMULATOR_NETNS_H

/* Enters /run/netns/`name`, "" for none. 0 with the way back (-1 for none), or a negative errno. */
int netns_enter(const char *name, int *ret_home_fd);
/* Goes back; the descriptor is closed. Aborts when that is impossible: nothing would be right. */
void netns_leave(int home_fd);

#endif
