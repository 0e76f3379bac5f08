"""The agent: carries mail from the controller to Postfix and news from Postfix to the controller."""
