/* The module's functions and types. */

#include "core.h"

static PyMethodDef methods[] = {
    {"break_lines", break_lines, METH_VARARGS, "The lines of a document."},
    {"draw_glyph", draw_glyph, METH_VARARGS, "Draw a glyph in all phases."},
    {"draw_page", draw_page, METH_VARARGS, "Draw bitmaps onto a page."},
    {"list_characters", list_characters, METH_O, "The distinct characters of a text."},
    {"measure_text", measure_text, METH_O, "The words and bytes of a text."},
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

static int add_type(PyObject *module, const char *name, PyType_Spec *specification) {
    PyObject *type = PyType_FromSpec(specification);
    int is_added = type != NULL && PyModule_AddObjectRef(module, name, type) == 0;
    Py_XDECREF(type);
    return is_added;
}

PyMODINIT_FUNC PyInit__core(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && !(add_type(module, "Shaper", &shaper_type) && add_type(module, "WordTable", &word_table) &&
                            PyModule_AddStringConstant(module, "SOURCES", SOURCES) == 0))
        Py_CLEAR(module);
    return module;
}
