#include "qurt_mutex.h"
