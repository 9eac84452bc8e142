/* A session, and nothing in it. */
#include "program.h"

int main(void)
{
    int node = open(NODE, O_RDWR | O_CLOEXEC);
    CHECK(node > 0);
    create_session(node);
    return close(node);
}
