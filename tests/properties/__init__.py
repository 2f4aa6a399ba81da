"""What holds for every input, looked for with hypothesis; HYPOTHESIS_PROFILE=long looks further."""
