/* Checks of functions that have an `int nErr` and, at their end, a label `bail`. */

#ifndef VERIFY_H
#define VERIFY_H

#ifndef VERIFY_EPRINTF
#define VERIFY_EPRINTF(...) (void)0
#endif
#ifndef VERIFY_IPRINTF
#define VERIFY_IPRINTF(...) (void)0
#endif

/* If it is not so, nErr becomes -1, unless it is an error already, and the function is left. */
#define VERIFY(value)                                                                              \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            VERIFY_EPRINTF("error: %d: " #value "\n", nErr);                                       \
            if (!nErr) nErr = -1;                                                                  \
            goto bail;                                                                             \
        }                                                                                          \
    } while (0)

#define VERIFYC(value, error)                                                                      \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            nErr = (error);                                                                        \
            VERIFY_EPRINTF("error: %d: " #value "\n", nErr);                                       \
            goto bail;                                                                             \
        }                                                                                          \
    } while (0)

#define TRY(error, function)                                                                       \
    do {                                                                                           \
        (error) = (function);                                                                      \
        if (error) goto bail;                                                                      \
    } while (0)

#endif
