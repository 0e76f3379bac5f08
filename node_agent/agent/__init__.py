"""The agent: carries mail from the controller to Postfix, and news of it back."""
