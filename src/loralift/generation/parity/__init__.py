"""Do the fast modes answer as the plain one does? The modes in which one model answers, and what each gives."""
