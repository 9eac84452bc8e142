/* Loads a library of that path, and unloads it again: what its destructor does is done while the
 * loader is busy. */
#include "program.h"
#include <dlfcn.h>

int main(int count, char **words)
{
    CHECK(count == 2);
    void *library = dlopen(words[1], RTLD_NOW);
    CHECK(library && dlclose(library) == 0);
    puts("unloaded");
    return 0;
}
