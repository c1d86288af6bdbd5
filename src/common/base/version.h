/* The version, as the Makefile says it (-DMPP_VERSION); what is compiled without it says so. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef MPP_VERSION
#define MPP_VERSION "0.0.0-dev"
#endif

#endif
