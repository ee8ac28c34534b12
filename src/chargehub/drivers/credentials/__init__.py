"""Professional credentials of drivers: number, image, review, import by taxi companies, expiry."""
