/* The same tests on the double build, with its tolerance. */
#include "dsp/test_mdct.c"
