from django.db import models


class Employee(models.Model):
    empid = models.IntegerField()
    empname = models.CharField(max_length=64)
    salary = models.FloatField()
    location = models.CharField(max_length=64)

    def __str__(self):
        return self.empname
