/* The innermost loop of the edge: one message, written to many sockets.

   It makes one system call for each socket, as `pogo.edge.sending` does without it. What it saves
   is what Python spends between two of them. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sys/socket.h>

typedef struct {
    Py_ssize_t position;
    Py_ssize_t outcome;
} Shortfall;

/* Write to each descriptor once. Needs no interpreter. */
static Py_ssize_t
write_to_all(const int *descriptors, Py_ssize_t count, const Py_buffer *data, Shortfall *short_of)
{
    Py_ssize_t found = 0;

    for (Py_ssize_t position = 0; position < count; position++) {
        ssize_t written;
        do {
            /* send() is write() for sockets, less what files would need. The sockets do not block;
               MSG_DONTWAIT makes sure, since the event loop would stand still. */
            written = send(descriptors[position], data->buf, (size_t)data->len,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (written < 0 && errno == EINTR);
        if (written == data->len) {
            continue;
        }
        if (written < 0) {
            written = errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        }
        short_of[found].position = position;
        short_of[found].outcome = written;
        found++;
    }
    return found;
}

static PyObject *
as_list(const Shortfall *short_of, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);

    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        PyObject *pair = Py_BuildValue("(nn)", short_of[i].position, short_of[i].outcome);
        if (pair == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, pair);
        }
    }
    return list;
}

PyDoc_STRVAR(send_all_doc,
"send_all($module, descriptors, data, /)\n"
"--\n"
"\n"
"Write data to each socket once, without waiting.\n"
"\n"
"Returns (position, outcome) of each socket that did not take all of it, in order: the bytes\n"
"that it took, or a negative errno. `descriptors` is an array of C ints.");

static PyObject *
send_all(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer descriptors, data;
    PyObject *result = NULL;

    if (nargs != 2) {
        return PyErr_Format(PyExc_TypeError, "send_all takes 2 arguments, not %zd", nargs);
    }
    if (PyObject_GetBuffer(args[0], &descriptors, PyBUF_FORMAT | PyBUF_ND) < 0) {
        return NULL;
    }
    if (descriptors.ndim != 1 || descriptors.format == NULL
        || strcmp(descriptors.format, "i") != 0) {
        PyErr_SetString(PyExc_TypeError, "descriptors must be an array of C ints");
        goto release_descriptors;
    }
    if (PyObject_GetBuffer(args[1], &data, PyBUF_SIMPLE) < 0) {
        goto release_descriptors;
    }
    Py_ssize_t count = descriptors.shape[0], found;
    Shortfall *short_of = PyMem_RawMalloc((size_t)count * sizeof(Shortfall));
    if (short_of == NULL) {
        PyErr_NoMemory();
        goto release_data;
    }
    /* Nothing changes meanwhile: an array that is exported cannot be resized. */
    Py_BEGIN_ALLOW_THREADS
    found = write_to_all(descriptors.buf, count, &data, short_of);
    Py_END_ALLOW_THREADS
    result = as_list(short_of, found);
    PyMem_RawFree(short_of);
release_data:
    PyBuffer_Release(&data);
release_descriptors:
    PyBuffer_Release(&descriptors);
    return result;
}

static PyMethodDef methods[] = {
    {"send_all", (PyCFunction)(void (*)(void))send_all, METH_FASTCALL, send_all_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pogo_speedups",
    .m_doc = "The innermost loop of Pogo's edge, in C.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_pogo_speedups(void)
{
    return PyModuleDef_Init(&definition);
}
