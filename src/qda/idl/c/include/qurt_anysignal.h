#include "qurt_signal.h"
