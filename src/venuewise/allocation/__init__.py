"""The static model: how a parent order is split over displayed quotes, exactly."""
