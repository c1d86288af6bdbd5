/* How many files a process may have open. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

/* The soft limit, which is often 1,024, up to the hard one. Returns it, 0 when it is not known. */
unsigned files_raise_limit(void);

#endif
