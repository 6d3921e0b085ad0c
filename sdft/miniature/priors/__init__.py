"""The six prior capabilities, one module each: documents for pre-training, and benchmark items no document contains."""
