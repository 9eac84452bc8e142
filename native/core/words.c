/* The functions of the module.  Those of words that processes share change them as one, and take an
 * address. */
#include "trace.h"

static _Atomic uint32_t *word_at(unsigned long long address)
{
    return (_Atomic uint32_t *)(uintptr_t)address;
}

static PyObject *word_set(PyObject *module, PyObject *arguments)
{
    unsigned long long address;
    unsigned int bits;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KI:word_set", &address, &bits))
        return NULL;
    return PyLong_FromUnsignedLong(atomic_fetch_or(word_at(address), bits));
}

static PyObject *word_clear(PyObject *module, PyObject *arguments)
{
    unsigned long long address;
    unsigned int bits;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KI:word_clear", &address, &bits))
        return NULL;
    return PyLong_FromUnsignedLong(atomic_fetch_and(word_at(address), ~bits));
}

PyMethodDef qda_functions[] = {
    { "word_set", word_set, METH_VARARGS,
      "word_set(address, bits): set bits of a word of 32 bits; what it was before." },
    { "word_clear", word_clear, METH_VARARGS,
      "word_clear(address, bits): clear bits of a word of 32 bits; what it was before." },
    { "trace", qda_trace, METH_O,
      "trace(ring): from now on note calls in it, and ask the DSP for times; None: no more." },
    { 0 },
};
