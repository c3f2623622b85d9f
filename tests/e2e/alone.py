"""Which tests run while no other does."""


def alone(test):
    """Marks a test whose subject is how long something takes, which other tests would make longer."""
    test.alone = True
    return test
