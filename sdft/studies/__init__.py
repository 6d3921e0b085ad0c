"""The paper's other results, one study a module: numbers and tests from scores. Tables and figures show them."""
