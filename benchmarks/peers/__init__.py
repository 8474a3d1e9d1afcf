"""The systems that are measured: one module for each, behind one small interface (`contender.Contender`)."""
