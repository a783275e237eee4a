/* For tables of a test. */
#ifndef CAIRN_TESTS_SUPPORT_STATIC_TEXT_H
#define CAIRN_TESTS_SUPPORT_STATIC_TEXT_H

/* A struct cairn_slice in an initializer of static storage, where CAIRN_SLICE_LIT, a compound
 * literal, is no constant. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

#endif
