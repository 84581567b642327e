/* SPDX-License-Identifier: Apache-2.0 */
/* A made clock for a Python program, and instructions of its functions under callgrind: a class of
 * functions is called through a C function of its own, so callgrind knows what all of it takes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <valgrind/callgrind.h>

static long long mono_ns, ahead_ns; /* the wall clock less the monotonic one */

static PyObject *nanoseconds(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyLong_FromLongLong(mono_ns);
}
static PyObject *seconds(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyFloat_FromDouble((double)mono_ns / 1e9);
}
static PyObject *wall_nanoseconds(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyLong_FromLongLong(mono_ns + ahead_ns);
}
static PyObject *wall_seconds(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyFloat_FromDouble((double)(mono_ns + ahead_ns) / 1e9);
}
static PyObject *set(PyObject *self, PyObject *args) {
    (void)self;
    if (!PyArg_ParseTuple(args, "LL", &mono_ns, &ahead_ns)) return NULL;
    Py_RETURN_NONE;
}
static PyObject *toggle(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    CALLGRIND_TOGGLE_COLLECT;
    Py_RETURN_NONE;
}
static PyObject *start(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    CALLGRIND_START_INSTRUMENTATION;
    Py_RETURN_NONE;
}
static PyObject *stop(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    CALLGRIND_DUMP_STATS;
    CALLGRIND_STOP_INSTRUMENTATION;
    Py_RETURN_NONE;
}

#define ONE(n)                                                                                     \
    __attribute__((noinline))                                                                      \
    PyObject *class_##n(PyObject *self, PyObject *args, PyObject *named) {                         \
        PyObject *found = PyObject_Call(self, args, named);                                        \
        __asm__ volatile("" ::: "memory");                                                         \
        return found;                                                                              \
    }
#define TEN(t)                                                                                     \
    ONE(t##0)                                                                                      \
    ONE(t##1) ONE(t##2) ONE(t##3) ONE(t##4) ONE(t##5) ONE(t##6) ONE(t##7) ONE(t##8) ONE(t##9)
TEN(0)
TEN(1)
TEN(2)
TEN(3)
TEN(4)
TEN(5)
#define DEF(n)                                                                                     \
    {"class_" #n, (PyCFunction)(void (*)(void))class_##n, METH_VARARGS | METH_KEYWORDS, NULL},
#define DEFS(t)                                                                                    \
    DEF(t##0)                                                                                      \
    DEF(t##1) DEF(t##2) DEF(t##3) DEF(t##4) DEF(t##5) DEF(t##6) DEF(t##7) DEF(t##8) DEF(t##9)
static PyMethodDef classes[] = {DEFS(0) DEFS(1) DEFS(2) DEFS(3) DEFS(4) DEFS(5)};

/* named(number, function, bound): the function, called through class_NUMBER. */
static PyObject *named(PyObject *self, PyObject *args) {
    int number, method;
    PyObject *function, *made, *bound;
    (void)self;
    if (!PyArg_ParseTuple(args, "iOp", &number, &function, &method)) return NULL;
    if (number < 0 || number >= (int)(sizeof classes / sizeof *classes))
        return PyErr_Format(PyExc_IndexError, "%d", number);
    made = PyCFunction_New(&classes[number], function);
    if (made == NULL || !method) return made;
    bound = PyInstanceMethod_New(made);
    Py_DECREF(made);
    return bound;
}

static PyMethodDef methods[] = {
    {"monotonic", seconds, METH_NOARGS, NULL}, {"monotonic_ns", nanoseconds, METH_NOARGS, NULL},
    {"time", wall_seconds, METH_NOARGS, NULL}, {"time_ns", wall_nanoseconds, METH_NOARGS, NULL},
    {"set", set, METH_VARARGS, NULL},          {"toggle", toggle, METH_NOARGS, NULL},
    {"start", start, METH_NOARGS, NULL},       {"stop", stop, METH_NOARGS, NULL},
    {"named", named, METH_VARARGS, NULL},      {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "turns_native", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_turns_native(void) {
    return PyModule_Create(&module);
}
