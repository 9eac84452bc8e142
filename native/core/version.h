/* What the core and Python must agree about, as a digest; see `docs/generate/version.py`.
 * Printed by `make docs`. */
#define QDA_CORE_VERSION 0x63d7c46fu
