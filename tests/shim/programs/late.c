/* Uses early.c's library, and leaves its session open at the end. */
#include "program.h"

int early_node(void);

int main(void)
{
    CHECK(sum(early_node(), open_calculator(early_node()), inline_part(numbers, sizeof numbers))
          == TOTAL);
    return 0;
}
