"""What crosses a wall and what people do leaves a record here, in a form that others can check."""
