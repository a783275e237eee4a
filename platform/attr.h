/* Compiler attributes behind names, so that the code itself stays C17. */
#ifndef CAIRN_PLATFORM_ATTR_H
#define CAIRN_PLATFORM_ATTR_H

#if defined(__GNUC__)
/* The result carries an error and must be looked at, or cast to void on purpose. */
#define CAIRN_MUST_CHECK __attribute__((warn_unused_result))
/* printf-like: fmt and first are argument numbers from 1. */
#define CAIRN_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
/* Control never comes here, which the compiler may build upon. */
#define CAIRN_UNREACHABLE() __builtin_unreachable()
#else
#define CAIRN_MUST_CHECK
#define CAIRN_PRINTF(fmt, first)
#define CAIRN_UNREACHABLE() ((void)0)
#endif

#endif
