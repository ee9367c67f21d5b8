from rest_framework.response import Response
from rest_framework.views import APIView

from .serializers import UserSerializer


class UserView(APIView):
    def get(self, request):
        return Response(UserSerializer(request.user).data)


class HelloView(APIView):
    def get(self, request):
        return Response({"message": "Hello, World!"})
