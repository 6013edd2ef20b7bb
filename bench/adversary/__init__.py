"""The malicious-model harness: an adversary in the model's place, the real worker, and a referee outside of both."""
