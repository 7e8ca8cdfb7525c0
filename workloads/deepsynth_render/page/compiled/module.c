/* The module's list of functions. */

#include "core.h"

static PyMethodDef methods[] = {
    {"draw_page", draw_page, METH_VARARGS, "Draw bitmaps onto a page."},
    {"place_bitmaps", place_bitmaps, METH_VARARGS, "The bitmaps of all pages of a document."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_doc = "The loops of the renderer; see the docstring of the package.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddStringConstant(module, "SOURCES", SOURCES) < 0)
        Py_CLEAR(module);
    return module;
}
