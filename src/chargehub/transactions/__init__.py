"""The spine: transactions of every protocol in one domain, their replay, and meter truth."""
